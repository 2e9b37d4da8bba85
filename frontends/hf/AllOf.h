// Several things that may be wrong at once, as one status.
#ifndef QUERN_FRONTENDS_HF_ALLOF_H
#define QUERN_FRONTENDS_HF_ALLOF_H

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

namespace quern::hf {

/// Adds to `all` what `more` says. The code is that of the first error.
inline void add_to(absl::Status &all, const absl::Status &more) {
  if (all.ok())
    all = more;
  else if (!more.ok())
    all = absl::Status(all.code(), absl::StrCat(all.message(), "; ", more.message()));
}

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_ALLOF_H
