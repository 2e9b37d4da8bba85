// An NVRTC 13.99 that compiles nothing but does look for its builtins as NVIDIA's does: by name,
// when it compiles, with no path of its own. Built with FAKE_BUILTINS it is these builtins.
#include <cstddef>
#include <dlfcn.h>

#ifdef FAKE_BUILTINS
extern "C" int fake_builtins() { return 0; }
#else
extern "C" {
const char *nvrtcGetErrorString(int result) {
  return result == 7 ? "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE" : "NVRTC_ERROR";
}
int nvrtcVersion(int *major, int *minor) {
  *major = 13;
  *minor = 99;
  return 0;
}
int nvrtcCreateProgram(void **program, const char *, const char *, int, const char *const *,
                       const char *const *) {
  *program = program;
  return 0;
}
int nvrtcDestroyProgram(void **) { return 0; }
int nvrtcCompileProgram(void *, int, const char *const *) {
  return dlopen("libnvrtc-builtins.so.13.99", RTLD_NOW | RTLD_LOCAL) == nullptr ? 7 : 0;
}
int nvrtcGetProgramLogSize(void *, size_t *) { return 1; }
int nvrtcGetProgramLog(void *, char *) { return 1; }
int nvrtcGetPTXSize(void *, size_t *) { return 1; }
int nvrtcGetPTX(void *, char *) { return 1; }
int nvrtcGetCUBINSize(void *, size_t *) { return 1; }
int nvrtcGetCUBIN(void *, char *) { return 1; }
}
#endif
