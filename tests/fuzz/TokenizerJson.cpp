// A tokenizer.json and the configs beside it, in one input: files are separated by a NUL byte, in
// the order of TokenizerFiles.
#include "frontends/hf/TokenizerJson.h"

#include "tests/fuzz/Fuzz.h"
#include "tests/fuzz/UseTokenizer.h"

void quern::fuzz::read(std::string_view bytes) {
  hf::TokenizerFiles files;
  std::string_view rest = bytes;
  for (std::string *file :
       {&files.tokenizer_json, &files.tokenizer_config_json, &files.special_tokens_map_json,
        &files.generation_config_json, &files.config_json, &files.chat_template_jinja,
        &files.vocab_json, &files.merges_txt, &files.vocab_txt, &files.added_tokens_json,
        &files.chat_template_json}) {
    const size_t end = std::min(rest.find('\0'), rest.size());
    *file = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (const auto spec = hf::tokenizer_from_json(files); spec.ok())
    use_tokenizer(*spec, bytes);
  if (const auto spec = hf::tokenizer_from_vocabulary(files); spec.ok())
    use_tokenizer(*spec, bytes);
}
