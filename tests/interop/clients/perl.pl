# Perl's RPC::XML.
use strict;
use warnings;
use utf8;
use RPC::XML;
use RPC::XML::Client;
$RPC::XML::ENCODING = 'utf-8';

my $name = "naïve 名.txt";
my @servers = map { RPC::XML::Client->new("http://localhost:$_/RPC2") } @ARGV;

sub call {
    my ($server, @call) = @_;
    my $answer = $server->send_request(@call);
    ref $answer or die "$call[0]: $answer";
    return $answer;
}
sub expect { my ($is, $should, $what) = @_; "$is" eq "$should" or die "$what: $is, not $should" }

expect(call($_, 'surfstore.ping')->value, 1, 'ping') for @servers;
my @leaders;
until (@leaders = grep { call($_, 'surfstore.isLeader')->value } @servers) { select undef, undef, undef, 0.05 }
my $leader = $leaders[0];
my ($follower) = grep { $_ != $leader } @servers;
my @update = ('surfstore.updatefile', RPC::XML::string->new($name), 1, ['h1', 2]);
expect(call($leader, @update)->value, 1, 'update');
expect(call($leader, @update)->value, 0, 'the same update');
my $stored = call($leader, 'surfstore.getfileinfomap')->value->{$name};
expect("$stored->[0] $stored->[1][0] $stored->[1][1]", '1 h1 2', 'map');
expect(call($leader, 'surfstore.tester_getversion', RPC::XML::string->new($name))->value, 1, 'version');
expect(call($follower, @update)->code, 2, 'fault of a follower');
expect(call($leader, 'surfstore.crash')->value, 1, 'crash');
expect(call($leader, @update)->code, 1, 'fault of a crashed server');
expect(call($leader, 'surfstore.restore')->value, 1, 'restore');
expect(call($leader, 'surfstore.isCrashed')->value, 0, 'restored');
print "RPC::XML $RPC::XML::VERSION of Perl\n";
