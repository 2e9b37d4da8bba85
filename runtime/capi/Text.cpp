// Text to ids and back.
#include "runtime/capi/Handles.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

using quern::capi::guarded;

namespace {

absl::Status check_tokenizer(const QuernModel *model) {
  if (model->tokenizer)
    return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the model has no tokenizer: it came without one\nhint: use ids");
}

// Copies what fits as a whole, and says how much there is.
template <typename From, typename To>
absl::Status hand_over(const From &from, To *to, size_t capacity, size_t *count) {
  *count = from.size();
  if (from.size() > capacity)
    return absl::ResourceExhaustedError(absl::StrCat(
        "the result has ", from.size(), " elements, and there is room for ", capacity));
  std::copy(from.begin(), from.end(), to);
  return absl::OkStatus();
}

} // namespace

extern "C" {

QuernStatus quern_encode(const QuernModel *model, const char *text, size_t bytes, int32_t special,
                         int32_t *ids, size_t capacity, size_t *count) {
  return guarded([&]() -> absl::Status {
    *count = 0;
    if (absl::Status status = check_tokenizer(model); !status.ok())
      return status;
    auto encoded = model->tokenizer->encode(
        {text, bytes}, {.add_special = special != 0, .parse_special = special != 0});
    if (!encoded.ok())
      return encoded.status();
    return hand_over(*encoded, ids, capacity, count);
  });
}

QuernStatus quern_encode_next(const QuernModel *model, QuernSlot slot, const char *text,
                              size_t bytes, int32_t *ids, size_t capacity, size_t *count) {
  return guarded([&]() -> absl::Status {
    *count = 0;
    if (absl::Status status = check_tokenizer(model); !status.ok())
      return status;
    auto encoded = model->tokenizer->encode({text, bytes}, {.before = model->engine->tokens(slot)});
    if (!encoded.ok())
      return encoded.status();
    return hand_over(*encoded, ids, capacity, count);
  });
}

QuernStatus quern_decode(const QuernModel *model, const int32_t *ids, size_t num_ids, char *text,
                         size_t capacity, size_t *count) {
  return guarded([&]() -> absl::Status {
    *count = 0;
    if (absl::Status status = check_tokenizer(model); !status.ok())
      return status;
    return hand_over(model->tokenizer->decode({ids, num_ids}), text, capacity, count);
  });
}

int32_t quern_is_end(const QuernModel *model, int32_t token) {
  return model->tokenizer && model->tokenizer->is_end(token);
}
}
