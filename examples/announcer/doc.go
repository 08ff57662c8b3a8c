// Command announcer tells each line that it reads to all members of a group, each as a
// message of its own, and says which of them the network has taken.
package main
