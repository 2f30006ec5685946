// A Pub/Sub to test against where Google's emulator is not installed: pstest, with the part of the REST surface that
// administers topics and subscriptions, on one port as the emulator has it.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	codepb "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

func main() {
	fake := pstest.NewServer()
	rpc := grpc.NewServer(grpc.MaxRecvMsgSize(20 << 20))
	pb.RegisterPublisherServer(rpc, &fake.GServer)
	pb.RegisterSubscriberServer(rpc, &fake.GServer)
	rest := rest(&fake.GServer)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("content-type"), "application/grpc") {
			rpc.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
	server := http.Server{Addr: os.Args[1], Handler: handler, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	log.Fatal(server.ListenAndServe())
}

func rest(fake *pstest.GServer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Ok\n") })
	topics, subscriptions := "/v1/projects/{project}/topics/{id}", "/v1/projects/{project}/subscriptions/{id}"
	mux.HandleFunc("PUT "+topics, func(w http.ResponseWriter, r *http.Request) {
		topic := &pb.Topic{}
		answer(w, r, topic, func(ctx context.Context) (proto.Message, error) {
			topic.Name = name(r)
			return fake.CreateTopic(ctx, topic)
		})
	})
	mux.HandleFunc("GET "+topics, func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, nil, func(ctx context.Context) (proto.Message, error) {
			return fake.GetTopic(ctx, &pb.GetTopicRequest{Topic: name(r)})
		})
	})
	mux.HandleFunc("GET "+topics+"/subscriptions", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, nil, func(ctx context.Context) (proto.Message, error) {
			topic := strings.TrimSuffix(name(r), "/subscriptions")
			return fake.ListTopicSubscriptions(ctx, &pb.ListTopicSubscriptionsRequest{Topic: topic})
		})
	})
	mux.HandleFunc("DELETE "+topics, func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, nil, func(ctx context.Context) (proto.Message, error) {
			return fake.DeleteTopic(ctx, &pb.DeleteTopicRequest{Topic: name(r)})
		})
	})
	mux.HandleFunc("PUT "+subscriptions, func(w http.ResponseWriter, r *http.Request) {
		subscription := &pb.Subscription{}
		answer(w, r, subscription, func(ctx context.Context) (proto.Message, error) {
			subscription.Name = name(r)
			return fake.CreateSubscription(ctx, subscription)
		})
	})
	mux.HandleFunc("GET "+subscriptions, func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, nil, func(ctx context.Context) (proto.Message, error) {
			return fake.GetSubscription(ctx, &pb.GetSubscriptionRequest{Subscription: name(r)})
		})
	})
	mux.HandleFunc("DELETE "+subscriptions, func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, nil, func(ctx context.Context) (proto.Message, error) {
			return fake.DeleteSubscription(ctx, &pb.DeleteSubscriptionRequest{Subscription: name(r)})
		})
	})
	mux.HandleFunc("POST "+subscriptions, func(w http.ResponseWriter, r *http.Request) {
		subscription, verb, _ := strings.Cut(name(r), ":")
		if verb != "seek" {
			fail(w, status.Errorf(codes.Unimplemented, "%s is not among what this fake does", verb))
			return
		}
		seek := &pb.SeekRequest{}
		answer(w, r, seek, func(ctx context.Context) (proto.Message, error) {
			seek.Subscription = subscription
			return fake.Seek(ctx, seek)
		})
	})
	return mux
}

// The resource's full name is the path without its version.
func name(r *http.Request) string {
	return strings.TrimPrefix(r.URL.Path, "/v1/")
}

func answer(w http.ResponseWriter, r *http.Request, body proto.Message, call func(context.Context) (proto.Message, error)) {
	if body != nil {
		text, err := io.ReadAll(r.Body)
		if err == nil && len(text) > 0 {
			err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, body)
		}
		if err != nil {
			fail(w, status.Error(codes.InvalidArgument, err.Error()))
			return
		}
	}
	answer, err := call(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	text, err := protojson.Marshal(answer)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("content-type", "application/json")
	w.Write(text)
}

// The codes as Google's APIs put them into HTTP: https://cloud.google.com/apis/design/errors#http_mapping
var httpCodes = map[codes.Code]int{
	codes.InvalidArgument:    http.StatusBadRequest,
	codes.FailedPrecondition: http.StatusBadRequest,
	codes.NotFound:           http.StatusNotFound,
	codes.AlreadyExists:      http.StatusConflict,
	codes.Unimplemented:      http.StatusNotImplemented,
}

func fail(w http.ResponseWriter, err error) {
	said := status.Convert(err)
	code, known := httpCodes[said.Code()]
	if !known {
		code = http.StatusInternalServerError
	}
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"code": code, "message": said.Message(), "status": codepb.Code(said.Code()).String(),
	}})
}
