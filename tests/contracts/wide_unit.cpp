#include "answers_of_this_unit.hpp"

Answers answers_of_wide_unit() { return answers_of_this_unit(); }
