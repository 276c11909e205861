#include <doctest/doctest.h>

#include <array>
#include <string>

#include "tap/told.h"

using namespace tensorwire::tap;

TEST_CASE("the task of a TF_CONFIG is its object, wherever it stands") {
  CHECK(task_of(R"({"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}})") ==
        R"({"type": "ps", "index": 0})");
  CHECK(task_of(R"({"task" : {"type": "}\"{"}, "cluster": {}})") == R"({"type": "}\"{"})");
  CHECK(task_of(R"({"cluster": {"task": ["b:2"]}, "name": "task", "task":{}})") == "{}");
}

TEST_CASE("without a task there is none") {
  for (const char* config :
       {"", "{}", "\"task\"", "\"task\":", "\"task\": 3", "{\"task\": {\"type\": \"ps\"", "task"}) {
    CHECK(task_of(config).empty());
  }
}

TEST_CASE("a line that does not fit is left out whole") {
  std::array<char, 12> told{};
  std::size_t used = add_line(told, 0, "A", "b\nc");
  CHECK(std::string(told.data()) == "A=b c\n");
  used = add_line(told, used, "LONG", "x");
  CHECK(std::string(told.data()) == "A=b c\n");
  used = add_line(told, used, "D", "ef");
  CHECK(std::string(told.data()) == "A=b c\nD=ef\n");
  CHECK(add_line(told, used, "", "") == used);
}
