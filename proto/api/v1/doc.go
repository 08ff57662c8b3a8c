// Package apiv1 is the API of the daemon, version 1: generated code for the .proto
// files of this folder and nothing else, messages as well as clients and handlers of
// Connect.
//
// It owns the shape of requests and answers. It does not know what they do: package
// internal/daemon serves them. Of a version nothing is changed that a client can
// notice; fields and methods are added.
package apiv1
