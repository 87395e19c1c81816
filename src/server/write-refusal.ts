import { ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import * as connect from "@connectrpc/connect/protocol-connect";
import * as grpc from "@connectrpc/connect/protocol-grpc";
import * as grpcWeb from "@connectrpc/connect/protocol-grpc-web";

/** What decides in which protocol a call is answered. */
export interface RefusedRequest {
  /** The HTTP method. */
  readonly requestMethod: string;
  readonly header: Headers;
}

/** An HTTP response, as a whole. */
export interface RefusalResponse {
  readonly status: number;
  readonly header: Headers;
  /** `undefined`: the header says it all. */
  readonly body: Uint8Array | undefined;
}

/**
 * The response to a call that is refused before its body is read, in the
 * protocol of the caller: what a handler of Connect answers where an
 * interceptor throws the same error. Callers that speak none of the protocols
 * get the HTTP status, and what Connect has for unary calls.
 */
export function writeRefusal(error: ConnectError, request: RefusedRequest): RefusalResponse {
  try {
    return write(copyForWire(error), request);
  } catch {
    // an authentication, or `authorize`, threw an error that cannot be encoded
    return write(new ConnectError("refused", error.code), request);
  }
}

function write(refusal: ConnectError, request: RefusedRequest): RefusalResponse {
  const contentType = request.requestMethod === "GET" ? null : request.header.get("content-type");
  const connectType = connect.parseContentType(contentType);
  if (connectType?.stream) {
    const type = connectType.binary
      ? connect.contentTypeStreamProto
      : connect.contentTypeStreamJson;
    const end = connect.endStreamToJson(new Headers(), refusal, undefined);
    const data = new TextEncoder().encode(JSON.stringify(end));
    return ok(type, new Headers(), encodeEnvelope(connect.endStreamFlag, data));
  }
  const grpcType = grpc.parseContentType(contentType);
  if (grpcType !== undefined) {
    const type = grpcType.binary ? grpc.contentTypeProto : grpc.contentTypeJson;
    // "Trailers-Only": https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses
    return ok(type, grpc.setTrailerStatus(new Headers(), refusal), undefined);
  }
  const grpcWebType = grpcWeb.parseContentType(contentType);
  if (grpcWebType?.text === false) {
    const type = grpcWebType.binary ? grpcWeb.contentTypeProto : grpcWeb.contentTypeJson;
    // in the body: browsers show pages of other origins the headers that CORS exposes, and no others
    const trailer = grpcWeb.trailerSerialize(grpc.setTrailerStatus(new Headers(), refusal));
    return ok(type, new Headers(), encodeEnvelope(grpcWeb.trailerFlag, trailer));
  }
  const header = new Headers(refusal.metadata);
  header.set("content-type", connect.contentTypeUnaryJson);
  const body = connect.errorToJsonBytes(refusal, undefined);
  return { status: connect.codeToHttpStatus(refusal.code), header, body };
}

function ok(type: string, header: Headers, body: Uint8Array | undefined): RefusalResponse {
  header.set("content-type", type);
  return { status: 200, header, body };
}

/** Headers that say how this response is sent, or how the connection goes on. */
const framingHeaders = [
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/**
 * The error with the metadata that can be sent with it. One that an
 * authentication got from another server, and throws as it is, has the headers
 * of that server's response. Control characters pass in `Headers`, and nowhere else.
 */
function copyForWire(error: ConnectError): ConnectError {
  const copy = new ConnectError(error.rawMessage, error.code);
  for (const [name, value] of error.metadata) {
    if (!framingHeaders.includes(name) && !/[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      copy.metadata.append(name, value);
    }
  }
  copy.details = error.details;
  return copy;
}
