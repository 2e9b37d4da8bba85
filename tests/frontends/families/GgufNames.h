// Names of tensors in Hugging Face's files and in GGUF's, by model_type: what llama.cpp's
// converters have, for the test to hold the importer's against.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_GGUFNAMES_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_GGUFNAMES_H

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace quern {

using Names = std::vector<std::pair<std::string, std::string>>;

/// What converters do to the weights of an architecture.
enum Changes : unsigned {
  kPairs = 1,       ///< rows of queries and keys from halves of heads to neighbouring pairs
  kAddOne = 2,      ///< to the norms' weights
  kUngroup = 4,     ///< fused queries, keys and values from groups by kv head to one after another
  kTranspose = 8,   ///< the layers' weights, which are stored [in, out]
  kStackNorms = 16, ///< norms of each head in one tensor
  kColumns = 32,    ///< A and D of Mamba-2 are columns, its norm has a row for each group
  kMultiply = 64    ///< by Falcon-H1's multipliers
};

struct Architecture {
  const char *name;
  bool layer_norm;
  unsigned changes;
  Names names;
};

/// By model_type.
extern const std::map<std::string, Architecture> kArchitectures;

/// Names of an expert's own matrices to those of all experts.
extern const std::map<std::string, std::string> kExpertParts;

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_GGUFNAMES_H
