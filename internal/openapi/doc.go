// Command openapi is a plugin of buf: it writes an OpenAPI 3.1 description of the
// daemon's API as one speaks it in JSON, out of the .proto files and their comments.
//
// It owns how protobuf's JSON looks in OpenAPI, and what of the daemon is no method of
// a service. It does not know what methods do.
package main
