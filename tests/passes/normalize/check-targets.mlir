// RUN: quern-opt %s --split-input-file --verify-diagnostics --quern-check-symbols

// Tests that a target must be one that there is.
// expected-error @+1 {{there is no target "gpu"; there are cpu, cuda}}
module attributes {quern.target = "gpu"} {
}

// -----

// Tests the same of the targets that share an artifact.
// expected-error @+1 {{there is no target "hip"; there are cpu, cuda}}
module attributes {quern.target = "cpu", quern.targets = ["cpu", "hip"]} {
}

// -----

// Tests that known ones pass, and that a module need not name any.
module attributes {quern.target = "cuda", quern.targets = ["cpu", "cuda"]} {
}

// -----

module {
}
