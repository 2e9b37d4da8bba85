// A plan as a picture.
#ifndef QUERN_COMPILER_DRIVER_PLANSVG_H
#define QUERN_COMPILER_DRIVER_PLANSVG_H

#include "runtime/artifact/Artifact.h"

#include <string>

namespace quern::driver {

/// The largest arena of the artifact as an SVG document: dispatches from left to right, offsets
/// from top to bottom, a rectangle for each buffer, named when it is pointed at.
std::string plan_svg(const artifact::Manifest &manifest);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_PLANSVG_H
