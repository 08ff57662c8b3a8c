// Command folder shows a network of one's own: a carrier.Carrier whose network is a
// folder that all who talk can reach, one file a message. It sends the lines that it
// reads to a contact, and prints what comes.
package main
