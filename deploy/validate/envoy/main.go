// Command envoy reads an Envoy bootstrap file by Envoy's own types, where an unknown field is an error,
// and checks every rule that those types carry.
package main

import (
	"fmt"
	"os"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: envoy FILE"))
	}
	text, err := os.ReadFile(os.Args[1])
	fail(err)
	json, err := yaml.YAMLToJSONStrict(text)
	fail(err)
	var config bootstrap.Bootstrap
	fail(protojson.Unmarshal(json, &config))
	fail(config.ValidateAll())
	packed := 0
	fail(unpack(config.ProtoReflect(), &packed))
	if packed == 0 {
		fail(fmt.Errorf("no typed_config was checked"))
	}
	fmt.Printf("envoy: %s holds, with %d typed configs\n", os.Args[1], packed)
}

// unpack checks the rules of every message that is packed into another.
func unpack(message protoreflect.Message, packed *int) error {
	if holder, ok := message.Interface().(*anypb.Any); ok {
		inner, err := holder.UnmarshalNew()
		if err != nil {
			return err
		}
		*packed++
		if rules, ok := inner.(interface{ ValidateAll() error }); ok {
			if err := rules.ValidateAll(); err != nil {
				return fmt.Errorf("%s: %w", proto.MessageName(inner), err)
			}
		}
		return unpack(inner.ProtoReflect(), packed)
	}
	var failed error
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			value.Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
				if field.MapValue().Message() != nil {
					failed = unpack(value.Message(), packed)
				}
				return failed == nil
			})
		case field.Message() == nil:
		case field.IsList():
			for i := 0; i < value.List().Len() && failed == nil; i++ {
				failed = unpack(value.List().Get(i).Message(), packed)
			}
		default:
			failed = unpack(value.Message(), packed)
		}
		return failed == nil
	})
	return failed
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "envoy:", err)
		os.Exit(1)
	}
}
