# Tcl's xmlrpc.
encoding system iso8859-1
package require xmlrpc
# The client announces the length in characters and sends bytes, so it is given bytes.
set name [encoding convertto utf-8 "na\u00efve \u540d.txt"]

proc call {port method args} { xmlrpc::call "http://localhost:$port" "/RPC2" surfstore.$method $args }
proc value {answer} { lindex $answer end end }
proc expect {is should} { if {$is ne $should} { error "$is is not $should" } }
proc fault_code {port method args} {
    set answer [lindex [call $port $method {*}$args] end]
    if {![regexp {faultCode (-?[0-9]+)} $answer all code]} { error "no fault: $answer" }
    return $code
}

foreach port $argv { expect [value [call $port ping]] 1 }
set leader ""
while {$leader eq ""} {
    foreach port $argv { if {[value [call $port isLeader]]} { set leader $port } }
}
set follower [lindex [lsearch -all -inline -not $argv $leader] 0]
set update [list updatefile [list string $name] {int 1} {array {{string h1} {int 2}}}]
expect [value [call $leader {*}$update]] 1
expect [value [call $leader {*}$update]] 0
set map [value [call $leader getfileinfomap]]
expect [llength [regexp -all -inline h1 $map]] 1
expect [value [call $leader tester_getversion [list string $name]]] 1
expect [fault_code $follower {*}$update] 2
expect [value [call $leader crash]] 1
expect [fault_code $leader {*}$update] 1
expect [value [call $leader restore]] 1
expect [value [call $leader isCrashed]] 0
puts "xmlrpc [package present xmlrpc] of Tcl [info patchlevel]"
