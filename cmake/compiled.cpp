// All definitions of ranklet that are not templates, compiled once for a program that defines RANKLET_COMPILED for all of
// its files. CMake's ranklet::compiled adds this file to a target; without CMake it is one more file of the program.
#if !defined(RANKLET_COMPILED)
#error "ranklet's compiled.cpp needs RANKLET_COMPILED, as all files of the program that include ranklet do"
#endif
#define RANKLET_BUILD_COMPILED
#include <ranklet/ranklet.hpp>
// A program that uses ranklet/fit defines this for the file too: those headers are not part of ranklet.hpp.
#if defined(RANKLET_COMPILED_FIT)
#include <ranklet/fit/fit.hpp>
#include <ranklet/fit/item_file.hpp>
#include <ranklet/fit/refit.hpp>
#endif
