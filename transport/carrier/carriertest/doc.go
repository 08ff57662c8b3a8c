// Package carriertest is what every carrier.Carrier has to pass.
//
// It owns the rules that the port writes down, as tests. It does not know how an
// implementation reaches its network; that, and what the network can do, is said
// by a Network. Topics are new ones in each test, so that tests can share one
// network with others.
package carriertest
