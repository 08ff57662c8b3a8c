package main

import (
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// described puts a comment in front of a tree, if there is one.
func described(comments protogen.CommentSet, t tree) tree {
	text := strings.Join(strings.Fields(comments.Leading.String()), " ")
	text = strings.TrimSpace(strings.ReplaceAll(strings.TrimPrefix(text, "//"), " // ", " "))
	if text == "" {
		return t
	}
	return append(tree{{"description", text}}, t...)
}

func reference(name protoreflect.FullName) tree {
	return tree{{"$ref", "#/components/schemas/" + string(name.Name())}}
}

// messageSchema is what a message looks like in JSON.
func messageSchema(m *protogen.Message) tree {
	var properties tree
	for _, f := range m.Fields {
		properties = append(properties, pair{f.Desc.JSONName(), described(f.Comments, fieldSchema(f))})
	}
	return described(m.Comments, tree{{"type", "object"}, {"additionalProperties", false}, {"properties", properties}})
}

func fieldSchema(f *protogen.Field) tree {
	one := valueSchema(f)
	if f.Desc.IsList() {
		return tree{{"type", "array"}, {"items", one}}
	}
	return one
}

// valueSchema is a value in the JSON of protobuf: numbers of 64 bits are strings, bytes
// are base64.
func valueSchema(f *protogen.Field) tree {
	switch f.Desc.Kind() {
	case protoreflect.BoolKind:
		return tree{{"type", "boolean"}}
	case protoreflect.Int32Kind:
		return tree{{"type", "integer"}, {"format", "int32"}}
	case protoreflect.Uint32Kind:
		return tree{{"type", "integer"}, {"format", "uint32"}}
	case protoreflect.DoubleKind:
		return tree{{"type", "number"}, {"format", "double"}}
	case protoreflect.Int64Kind:
		return tree{{"type", "string"}, {"format", "int64"}}
	case protoreflect.Uint64Kind:
		return tree{{"type", "string"}, {"format", "uint64"}}
	case protoreflect.StringKind:
		return tree{{"type", "string"}}
	case protoreflect.BytesKind:
		return tree{{"type", "string"}, {"contentEncoding", "base64"}}
	case protoreflect.EnumKind:
		return reference(f.Enum.Desc.FullName())
	case protoreflect.MessageKind:
		return reference(f.Message.Desc.FullName())
	default:
		panic("internal error: no schema for " + f.Desc.Kind().String())
	}
}

func enumSchema(e *protogen.Enum) tree {
	var names []string
	for _, v := range e.Values {
		names = append(names, string(v.Desc.Name()))
	}
	return described(e.Comments, tree{{"type", "string"}, {"enum", names}})
}
