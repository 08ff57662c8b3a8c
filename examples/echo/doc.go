// Command echo is a bot: what anybody writes to it goes back. Its network is NATS.
package main
