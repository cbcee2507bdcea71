# Perl's RPC::XML.
use strict;
use warnings;
use utf8;
use RPC::XML;
use RPC::XML::Client;

my @ports = @ARGV;
my $name = 'naïve 名.txt';

$RPC::XML::ENCODING = 'utf-8';
my @servers = map { RPC::XML::Client->new("http://localhost:$_/RPC2") } @ports;
my @leaders;
until (@leaders = grep { call($_, 'isLeader')->value } @servers) { select undef, undef, undef, 0.05 }
my $leader = $leaders[0];

# Gives the answer, a fault included.
sub call {
    my ($server, $method, @params) = @_;
    my $answer = $server->send_request("surfstore.$method", @params);
    ref $answer or die "$method: $answer";
    return $answer;
}

sub expect { my ($is, $should, $what) = @_; "$is" eq "$should" or die "$what: $is, not $should" }

# What looks like a number is sent as one, unless it is said to be a string.
my @update = ('updatefile', RPC::XML::string->new($name), 1, ['h1', 'h2']);
expect(call($leader, @update)->value, 1, 'update');
expect(call($leader, @update)->value, 0, 'the same update');
expect(call($leader, 'updatefile', 'ints', 1, [1, 2])->value, 1, 'update of ints');
my $map = call($leader, 'getfileinfomap')->value;
expect(join(' ', $map->{$name}[0], @{$map->{$name}[1]}), '1 h1 h2', 'map');
expect(join(' ', $map->{ints}[0], @{$map->{ints}[1]}), '1 1 2', 'map');
my $ints = call($leader, 'getfileinfomap')->{value}->{ints}->[1];
expect(ref $_, 'RPC::XML::int', 'type of a hash') for @$ints;
expect(call($leader, 'tester_getversion', RPC::XML::string->new($name))->value, 1, 'version');

# Several calls in one; each has its answer, in an array of its own, or its fault, in a struct.
my @calls = map { { methodName => "surfstore.$_", params => [] } } qw(isLeader nonsense);
my $answers = $leader->send_request('system.multicall', \@calls)->value;
expect($answers->[0][0], 1, 'first of several calls');
expect($answers->[1]{faultCode}, -32601, 'fault of several calls');

sub expect_fault {
    my ($server, $code, $text) = @_;
    my $fault = call($server, @update);
    expect($fault->is_fault, 1, 'is a fault');
    expect($fault->code, $code, 'fault code');
    expect(substr($fault->string, 0, length $text), $text, 'fault string');
}

expect_fault((grep { $_ != $leader } @servers)[0], 2, 'not the leader');
expect(call($leader, 'crash')->value, 1, 'crash');
expect_fault($leader, 1, 'isCrashed');
expect(call($_, 'ping')->value, 1, 'ping') for @servers;
expect(call($leader, 'restore')->value, 1, 'restore');
expect(call($leader, 'isCrashed')->value, 0, 'restored');
print "RPC::XML $RPC::XML::VERSION of Perl\n";
