# Programs of GoogleTest. What they test is optimized as ever, they themselves are not: a third of a build's time would
# go into that, and most of what is left into headers, which are precompiled.
# A precompiled header for tests, made with the flags that these have. quern_test_pch(NAME HEADER libs...)
function(quern_test_pch name header)
  file(WRITE ${CMAKE_BINARY_DIR}/cmake/${name}.cpp "// Carries the precompiled header.\n")
  add_library(${name} STATIC ${CMAKE_BINARY_DIR}/cmake/${name}.cpp)
  target_link_libraries(${name} PRIVATE GTest::gtest GTest::gmock nlohmann_json::nlohmann_json quern_absl ${ARGN})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_precompile_headers(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/${header})
  target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp" $<$<CONFIG:Release>:-O0>)
endfunction()
quern_test_pch(quern_plain_test_pch test_pch.h)
quern_test_pch(quern_mlir_test_pch mlir_test_pch.h quern_mlir)

# quern_test(NAME SOURCES... [MLIR] [OPTIMIZED] [COST N] DEPENDS libs...): a GoogleTest program, run by CTest as one
# test. MLIR: includes MLIR's headers. OPTIMIZED: computes much itself. COST: how long it takes, in seconds or so; the
# long ones start first, lest one of them run alone in the end.
function(quern_test name)
  cmake_parse_arguments(ARG "MLIR;OPTIMIZED" "COST" "DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  # -fPIC, like every library and so like the precompiled headers.
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_compile_definitions(${name} PRIVATE QUERN_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             QUERN_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} GTest::gtest GTest::gmock GTest::gtest_main
                        nlohmann_json::nlohmann_json quern_absl)
  if(ARG_MLIR)
    target_link_libraries(${name} PRIVATE quern_mlir)
  endif()
  if(NOT ARG_OPTIMIZED)
    target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O0>)
  endif()
  if(ARG_MLIR AND ARG_OPTIMIZED)
    target_precompile_headers(${name} REUSE_FROM quern_mlir_pch)
  elseif(ARG_MLIR)
    target_precompile_headers(${name} REUSE_FROM quern_mlir_test_pch)
  elseif(NOT ARG_OPTIMIZED)
    target_precompile_headers(${name} REUSE_FROM quern_plain_test_pch)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  if(ARG_COST)
    set_tests_properties(${name} PROPERTIES COST ${ARG_COST})
  endif()
endfunction()
