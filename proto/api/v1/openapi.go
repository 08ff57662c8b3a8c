package apiv1

import _ "embed" // for OpenAPI

// OpenAPI describes the JSON of this API, and its events, in OpenAPI 3.1. It is made of
// the .proto files by internal/openapi.
//
//go:embed openapi.yaml
var OpenAPI []byte
