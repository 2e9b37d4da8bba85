# The file half of the Hugging Face importer: config.json and safetensors, without the model families.
quern_library(quern_hf_files
  ${CMAKE_CURRENT_LIST_DIR}/ConfigJson.cpp ${CMAKE_CURRENT_LIST_DIR}/JsonText.cpp
  ${CMAKE_CURRENT_LIST_DIR}/Safetensors.cpp ${CMAKE_CURRENT_LIST_DIR}/SafetensorsHeader.cpp
  DEPENDS quern_weights nlohmann_json::nlohmann_json quern_absl)
