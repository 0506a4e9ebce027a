#include "answers_of_this_unit.hpp"

Answers answers_of_second_unit() { return answers_of_this_unit(); }
