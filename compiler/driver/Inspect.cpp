// quern inspect: what is in a .quern file.
#include "compiler/driver/Inspection.h"
#include "compiler/driver/PlanSvg.h"
#include "compiler/driver/TextFile.h"
#include "compiler/driver/Verbs.h"
#include "runtime/cli/Flags.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"

#include <nlohmann/json.hpp>

namespace quern::driver {
int inspect(Args args) {
  bool json = false;
  bool kernels = false;
  bool plan = false;
  std::string svg;
  cli::Bytes checkpoints;
  std::vector<std::string> files;
  const cli::Command command{
      "quern inspect FILE.quern [flags]",
      "Shows what is in a compiled model: entries, variants, formats with their bytes and error, "
      "memory, proof.",
      {{"--kernels", "", "list every kernel, with its dispatches and the weights they read",
        &kernels},
       {"--plan", "", "list every buffer of every schedule", &plan},
       {"--svg", "FILE", "draw the largest schedule's arena over time", &svg},
       {"--checkpoints", "BYTES", "plan with that much for checkpoints (default: 0)", &checkpoints},
       {"--json", "", "print everything as one JSON object", &json}},
      "quern inspect models/smollm2-135m-instruct-q4_1.quern --kernels",
      &files};
  if (auto code = cli::parse(command, args))
    return *code;
  if (files.size() != 1)
    return cli::wrong_usage(files.empty() ? "no file is given" : "more than one file is given",
                            "quern inspect FILE.quern");
  auto artifact = artifact::Artifact::open(files[0]);
  if (!artifact.ok())
    return cli::fail(artifact.status());
  for (const Sizes &sizes : sizes_of(**artifact, checkpoints.value))
    if (absl::Status status =
            session::check_checkpoints(sizes.model, sizes.ctx, sizes.slots, checkpoints.value);
        !status.ok())
      return cli::fail(status);
  if (!svg.empty())
    if (absl::Status status = write_text(svg, plan_svg((*artifact)->manifest())); !status.ok())
      return cli::fail(status);
  if (json)
    cli::print_json(inspection_json(**artifact, checkpoints.value));
  else
    print_inspection(**artifact,
                     {.kernels = kernels, .plan = plan, .checkpoints = checkpoints.value});
  return cli::kDone;
}

} // namespace quern::driver
