# LLVM and MLIR, linked as shared libraries, with one precompiled header for every file that sees them.
# Without it a pass file takes 17-23 s to compile on a small machine, with it under 4 s.
find_package(MLIR REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "Quern builds with LLVM and MLIR 22, found ${LLVM_VERSION}: install libmlir-22-dev")
endif()
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
set(MLIR_TABLEGEN_EXE ${LLVM_TOOLS_BINARY_DIR}/mlir-tblgen)

add_library(quern_mlir INTERFACE)
target_include_directories(quern_mlir SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
separate_arguments(QUERN_LLVM_DEFINITIONS NATIVE_COMMAND "${LLVM_DEFINITIONS}")
target_compile_options(quern_mlir INTERFACE ${QUERN_LLVM_DEFINITIONS})
target_link_libraries(quern_mlir INTERFACE MLIR LLVM)

file(WRITE ${CMAKE_BINARY_DIR}/cmake/mlir_pch.cpp "// Carries the precompiled header.\n")
add_library(quern_mlir_pch STATIC ${CMAKE_BINARY_DIR}/cmake/mlir_pch.cpp)
target_link_libraries(quern_mlir_pch PUBLIC quern_mlir)
target_include_directories(quern_mlir_pch PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_precompile_headers(quern_mlir_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/mlir_pch.h)
# The same bytes whenever it is made: else ccache finds nothing again of what includes it after a fresh clone.
target_compile_options(quern_mlir_pch PRIVATE "SHELL:-Xclang -fno-pch-timestamp")

# quern_mlir_library(NAME SOURCES... [DEPENDS libs...]): a quern_library that includes MLIR's headers.
function(quern_mlir_library name)
  quern_library(${name} ${ARGN})
  target_link_libraries(${name} PUBLIC quern_mlir)
  target_precompile_headers(${name} REUSE_FROM quern_mlir_pch)
  if(TARGET quern_ir_headers AND NOT ${name} STREQUAL "quern_ir")
    add_dependencies(${name} quern_ir_headers)
  endif()
endfunction()

# quern_tablegen(OUTPUT.inc SOURCE.td FLAGS...): runs mlir-tblgen in the current build folder and
# appends the output to QUERN_TABLEGEN_OUTPUTS.
function(quern_tablegen output source)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${output})
  file(GLOB tds CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.td ${CMAKE_SOURCE_DIR}/ir/interfaces/*.td)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${MLIR_TABLEGEN_EXE} ${ARGN} -I ${CMAKE_SOURCE_DIR} -I ${MLIR_INCLUDE_DIRS}
            ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${out}
    DEPENDS ${tds} ${MLIR_TABLEGEN_EXE})
  set(QUERN_TABLEGEN_OUTPUTS ${QUERN_TABLEGEN_OUTPUTS} ${out} PARENT_SCOPE)
endfunction()

# quern_use_mlir_pch(TARGET): gives a program the precompiled header, which is -fPIC like every library.
function(quern_use_mlir_pch name)
  target_link_libraries(${name} PRIVATE quern_mlir)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_precompile_headers(${name} REUSE_FROM quern_mlir_pch)
endfunction()
