import type { DescMethod } from "@bufbuild/protobuf";
import type { IncomingCall } from "../../src/server/index.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";

/** A call as authentication sees it. */
export function incomingCall(
  header: HeadersInit,
  method: DescMethod = UserService.method.whoAmI,
): IncomingCall {
  return {
    header: new Headers(header),
    url: `https://api.test/${method.parent.typeName}/${method.name}`,
    requestMethod: "POST",
    method,
    signal: new AbortController().signal,
  };
}
