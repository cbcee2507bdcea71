-- Lua's xmlrpc.
local xmlrpc = require("xmlrpc")
local http = require("xmlrpc.http")
local NAME = "naïve 名.txt"

local function call(port, method, ...)
    return http.call("http://localhost:" .. port .. "/RPC2", "surfstore." .. method, ...)
end
local function value(port, method, ...)
    local ok, answer, code = call(port, method, ...)
    assert(ok, method .. ": " .. tostring(answer) .. " " .. tostring(code))
    return answer
end
local function fault_code(port, method, ...)
    local ok, _, code = call(port, method, ...)
    assert(not ok, "no fault")
    return tonumber(code)
end

for _, port in ipairs(arg) do assert(value(port, "ping") == true) end
local leader
repeat
    for _, port in ipairs(arg) do if value(port, "isLeader") then leader = port end end
until leader
local follower = arg[1] == leader and arg[2] or arg[1]
local hashes = xmlrpc.newTypedValue({ "h1", xmlrpc.newTypedValue(2, "int") }, "array")
local update = { NAME, xmlrpc.newTypedValue(1, "int"), hashes }
assert(value(leader, "updatefile", unpack(update)) == true)
assert(value(leader, "updatefile", unpack(update)) == false)
local stored = value(leader, "getfileinfomap")[NAME]
assert(stored[1] == 1 and stored[2][1] == "h1" and stored[2][2] == 2)
assert(value(leader, "tester_getversion", NAME) == 1)
assert(fault_code(follower, "updatefile", unpack(update)) == 2)
assert(value(leader, "crash") == true)
assert(fault_code(leader, "updatefile", unpack(update)) == 1)
assert(value(leader, "restore") == true)
assert(value(leader, "isCrashed") == false)
print("xmlrpc " .. xmlrpc._VERSION .. " of " .. _VERSION)
