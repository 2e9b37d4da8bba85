# The tokenizer half of the Hugging Face importer; it needs none of the rest.
quern_library(quern_hf_text
  ${CMAKE_CURRENT_LIST_DIR}/SentencePieceModel.cpp ${CMAKE_CURRENT_LIST_DIR}/TokenizerConfigs.cpp
  ${CMAKE_CURRENT_LIST_DIR}/TokenizerJson.cpp ${CMAKE_CURRENT_LIST_DIR}/TokenizerModel.cpp
  ${CMAKE_CURRENT_LIST_DIR}/TokenizerSteps.cpp
  DEPENDS quern_text nlohmann_json::nlohmann_json)
