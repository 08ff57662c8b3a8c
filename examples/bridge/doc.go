// Command bridge hosts a puppet, an identity, for each user of another network, 1,000
// of them unless it is told otherwise. The other network is lines: what somebody here
// writes to a puppet is a line "PUPPET SENDER TEXT" on standard output; a line
// "PUPPET CONTACT TEXT" on standard input is said by the puppet.
package main
