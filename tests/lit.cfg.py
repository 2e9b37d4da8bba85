# How lit runs the tests in textual IR: files whose RUN lines call quern-opt and FileCheck.
import os

import lit.formats

config.name = "quern"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
# Folders of files that tests read.
config.excludes = ["Inputs", "modules"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.quern_binary_dir, "tests", "lit")
config.environment["PATH"] = os.pathsep.join(
    [
        os.path.join(config.quern_binary_dir, "bin"),
        os.path.join(config.quern_binary_dir, "tests"),
        config.llvm_tools_dir,
        config.environment["PATH"],
    ]
)
