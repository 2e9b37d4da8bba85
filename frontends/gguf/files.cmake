# The file half of the GGUF importer: the parser, without the model families.
quern_library(quern_gguf_file
  ${CMAKE_CURRENT_LIST_DIR}/GgufFile.cpp ${CMAKE_CURRENT_LIST_DIR}/GgufParser.cpp
  ${CMAKE_CURRENT_LIST_DIR}/GgufTypes.cpp
  DEPENDS quern_weights quern_absl)
