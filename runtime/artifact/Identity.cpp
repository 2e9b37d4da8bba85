// What tells one artifact's states from another's.
#include "runtime/artifact/Artifact.h"

#include <cstring>

namespace quern::artifact {
namespace {

// Sums what it is told so that no two lists of texts and numbers look alike.
class Identity {
public:
  template <class... Numbers> void numbers(Numbers... values) {
    for (const uint64_t value : {static_cast<uint64_t>(values)...})
      sum_.add(&value, sizeof value);
  }
  void text(const flatbuffers::String *string) {
    const std::string_view text = artifact::text(string);
    numbers(text.size());
    sum_.add(text.data(), text.size());
  }
  template <class T> void list(const flatbuffers::Vector<T> *vector) {
    numbers(items(vector).size());
    for (const T value : items(vector))
      numbers(value);
  }
  template <class T> void structs(const flatbuffers::Vector<const T *> *vector) {
    numbers(items(vector).size());
    if (vector)
      sum_.add(vector->Data(), vector->size() * sizeof(T));
  }
  uint64_t value() const { return sum_.value(); }

private:
  Checksum sum_;
};

} // namespace

uint64_t Artifact::identity() const {
  Identity identity;
  // What the model does with its weights, without where it was read from and how long it may be.
  identity.numbers(manifest_->source_hash(), manifest_->vocab());
  // The weights' bytes, whose checksum covers those that no sample of the source did.
  const Section *section = this->section(SectionKind::weights);
  identity.numbers(section ? section->checksum() : 0, section ? section->bytes() : 0,
                   manifest_->weights_bytes());
  identity.structs(manifest_->made());
  identity.structs(manifest_->kept());
  identity.numbers(items(manifest_->weights()).size());
  for (const Weight *weight : items(manifest_->weights())) {
    identity.text(weight->name());
    identity.text(weight->format());
    identity.text(weight->packing());
    identity.list(weight->shape());
    identity.numbers(weight->offset(), weight->bytes());
  }
  bool formats_known = true;
  identity.numbers(items(manifest_->states()).size());
  for (const State *state : items(manifest_->states())) {
    identity.text(state->name());
    identity.text(state->format());
    identity.list(state->shape());
    identity.numbers(state->kind(), state->group(), state->offset(), state->bytes());
    formats_known = formats_known && state->format();
  }
  identity.numbers(manifest_->slot_bytes(), items(manifest_->kv_groups()).size());
  for (const KvGroup *group : items(manifest_->kv_groups()))
    identity.numbers(group->page_bytes(), group->window());
  // Float16 and bfloat16 take the same room: what does not say which it has is its own kind.
  if (!formats_known) {
    FileHeader header;
    std::memcpy(&header, data_, sizeof header);
    identity.numbers(header.manifest_checksum);
  }
  return identity.value();
}

} // namespace quern::artifact
