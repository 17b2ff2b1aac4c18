// kubernetes.hpp, and GoogleTest. See README.md.
#pragma once

#include "sdk/precompiled/kubernetes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
