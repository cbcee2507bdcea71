-- Lua's xmlrpc.
local xmlrpc = require("xmlrpc")
local http = require("xmlrpc.http")

local ports = arg
local name = "naïve 名.txt"

-- Gives whether the call succeeded, and its value or the text and the code of the fault.
local function call(port, method, ...)
    return http.call("http://localhost:" .. port .. "/RPC2", "surfstore." .. method, ...)
end
-- Numbers are sent as doubles, and tables as structs, unless they are said to be something else.
local int = function(number) return xmlrpc.newTypedValue(number, "int") end
local array = function(...) return xmlrpc.newTypedValue({ ... }, "array") end

local function value(port, method, ...)
    local ok, answer, code = call(port, method, ...)
    assert(ok, method .. ": " .. tostring(answer) .. " " .. tostring(code))
    return answer
end

local leader
repeat
    for _, port in ipairs(ports) do if value(port, "isLeader") then leader = port end end
until leader

assert(value(leader, "updatefile", name, int(1), array("h1", "h2")) == true)
assert(value(leader, "updatefile", name, int(1), array("h1", "h2")) == false)
assert(value(leader, "updatefile", "ints", int(1), array(int(1), int(2))) == true)
local map = value(leader, "getfileinfomap")
assert(map[name][1] == 1 and table.concat(map[name][2], " ") == "h1 h2")
assert(map.ints[1] == 1 and map.ints[2][1] == 1 and map.ints[2][2] == 2)
assert(value(leader, "tester_getversion", name) == 1)

local function expect_fault(port, expected_code, expected_text)
    local ok, text, code = call(port, "updatefile", name, int(2), array())
    assert(not ok, "no fault")
    assert(tonumber(code) == expected_code, code)
    assert(text:sub(1, #expected_text) == expected_text, text)
end

expect_fault(ports[1] == leader and ports[2] or ports[1], 2, "not the leader")
assert(value(leader, "crash") == true)
expect_fault(leader, 1, "isCrashed")
for _, port in ipairs(ports) do assert(value(port, "ping") == true) end
assert(value(leader, "restore") == true)
assert(value(leader, "isCrashed") == false)
print("xmlrpc " .. xmlrpc._VERSION .. " of " .. _VERSION)
