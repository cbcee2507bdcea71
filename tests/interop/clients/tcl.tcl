# Tcl's xmlrpc.
package require xmlrpc

set ports $argv

# The package counts characters where HTTP counts bytes, so it is given bytes, and a channel that leaves them alone.
# Nor does it read an answer with a name that has a blank or a bar in it.
encoding system iso8859-1
set name [encoding convertto utf-8 "na\u00efve_\u540d.txt"]

# The answer's value; of a fault, its members.
proc call {port method args} {
    lindex [xmlrpc::call "http://localhost:$port" RPC2 surfstore.$method $args] 1
}

set leader ""
while {$leader eq ""} {
    foreach port $ports { if {[call $port isLeader]} { set leader $port } }
}

proc expect {is should} { if {$is ne $should} { error "$is is not $should" } }

set update [list updatefile [list string $name] {int 1} {array {{string h1} {string h2}}}]
expect [call $leader {*}$update] 1
expect [call $leader {*}$update] 0
expect [call $leader updatefile {string ints} {int 1} {array {{int 1} {int 2}}}] 1
expect [lsort [call $leader getfileinfomap]] [lsort [list [list $name {1 {h1 h2}}] {ints {1 {1 2}}}]]
expect [call $leader tester_getversion [list string $name]] 1
# The package neither encodes nor decodes `&` and `<`. A program has to do both.
expect [lindex [xmlrpc::assoc faultCode [call $leader updatefile {string a&b} {int 1} {array {}}]] 1] -32700
expect [call $leader updatefile {string a&amp;b} {int 1} {array {{string c&amp;d}}}] 1
expect [xmlrpc::assoc {a&amp;b} [call $leader getfileinfomap]] {{a&amp;b} {1 {{c&amp;d}}}}

proc expect_fault {port code text} {
    set fault [call $port updatefile {string ints} {int 2} {array {}}]
    expect [lindex [xmlrpc::assoc faultCode $fault] 1] $code
    expect [string first $text [lindex [xmlrpc::assoc faultString $fault] 1]] 0
}

expect_fault [lindex [lsearch -all -inline -not $ports $leader] 0] 2 "not the leader"
expect [call $leader crash] 1
expect_fault $leader 1 isCrashed
foreach port $ports { expect [call $port ping] 1 }
expect [call $leader restore] 1
expect [call $leader isCrashed] 0
puts "xmlrpc [package present xmlrpc] of Tcl [info patchlevel]"
