// standard.hpp, and GoogleTest. See README.md.
#pragma once

#include "sdk/precompiled/standard.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
