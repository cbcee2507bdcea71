# Ruby's xmlrpc.
require 'xmlrpc/client'

NAME = 'naïve 名.txt'
servers = ARGV.map { |port| XMLRPC::Client.new('localhost', '/RPC2', port.to_i) }

def expect(is, should) = is == should || raise("#{is.inspect}, not #{should.inspect}")

def fault_code(server, *call)
  server.call(*call)
  raise 'no fault'
rescue XMLRPC::FaultException => fault
  fault.faultCode
end

servers.each { |server| expect(server.call('surfstore.ping'), true) }
sleep 0.05 until (leader = servers.find { |server| server.call('surfstore.isLeader') })
follower = servers.find { |server| server != leader }
update = ['surfstore.updatefile', NAME, 1, ['h1', 2]]
expect(leader.call(*update), true)
expect(leader.call(*update), false)
map = leader.call('surfstore.getfileinfomap').transform_keys { |name| name.dup.force_encoding('UTF-8') }
expect(map, { NAME => [1, ['h1', 2]] })
expect(leader.call('surfstore.tester_getversion', NAME), 1)
expect(fault_code(follower, *update), 2)
expect(leader.call('surfstore.crash'), true)
expect(fault_code(leader, *update), 1)
expect(leader.call('surfstore.restore'), true)
expect(leader.call('surfstore.isCrashed'), false)
puts "xmlrpc #{Gem.loaded_specs['xmlrpc']&.version || '0.3.2'} of Ruby #{RUBY_VERSION}"
