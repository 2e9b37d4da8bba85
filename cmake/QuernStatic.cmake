# Interface targets over the static archives of Debian's packages, so that what ships needs none of them
# installed: quern_absl (absl::Status, strings) and quern_xxhash. The shared absl:: targets of
# find_package(absl) would make the runtime depend on libabsl_*.so.
#
# Those archives hold no position-independent code, so a shared library cannot take them in: a target
# with the property QUERN_SHARED_PACKAGES links the packages' shared libraries in their place.
include_guard(GLOBAL)
function(quern_static_library name)
  add_library(${name} INTERFACE)
  foreach(package ${ARGN})
    find_library(QUERN_${package}_A lib${package}.a REQUIRED)
    find_library(QUERN_${package}_SO lib${package}.so REQUIRED)
    mark_as_advanced(QUERN_${package}_A QUERN_${package}_SO)
    set(shared $<BOOL:$<TARGET_PROPERTY:QUERN_SHARED_PACKAGES>>)
    target_link_libraries(${name} INTERFACE
      $<IF:${shared},${QUERN_${package}_SO},${QUERN_${package}_A}>)
  endforeach()
endfunction()

# Dependents first: a linker that reads archives once, in order, resolves them too.
quern_static_library(quern_absl
  absl_statusor absl_status absl_cord absl_cordz_info absl_cord_internal absl_cordz_functions
  absl_exponential_biased absl_cordz_handle absl_bad_optional_access absl_bad_variant_access
  absl_str_format_internal absl_strerror absl_synchronization absl_graphcycles_internal
  absl_stacktrace absl_symbolize absl_malloc_internal absl_debugging_internal
  absl_demangle_internal absl_time absl_civil_time absl_time_zone absl_strings
  absl_strings_internal absl_throw_delegate absl_int128 absl_base absl_spinlock_wait
  absl_raw_logging_internal absl_log_severity)
find_package(Threads REQUIRED)
target_link_libraries(quern_absl INTERFACE Threads::Threads)
quern_static_library(quern_xxhash xxhash)
