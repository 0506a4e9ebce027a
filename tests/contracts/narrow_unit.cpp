#include "answers_of_this_unit.hpp"

Answers answers_of_narrow_unit() { return answers_of_this_unit(); }
