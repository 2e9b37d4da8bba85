// The headers that nearly every test needs, precompiled once.
#ifndef QUERN_CMAKE_TEST_PCH_H
#define QUERN_CMAKE_TEST_PCH_H
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#endif // QUERN_CMAKE_TEST_PCH_H
