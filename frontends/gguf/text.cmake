# The tokenizer half of the GGUF importer; it needs none of the rest.
quern_library(quern_gguf_text
  ${CMAKE_CURRENT_LIST_DIR}/PreTokenizers.cpp ${CMAKE_CURRENT_LIST_DIR}/TokenizerMetadata.cpp
  DEPENDS quern_text)
