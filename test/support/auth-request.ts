import type { AuthRequest } from "../../src/index.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";

/** What a provider is told of a call of `UserService.DeleteUser`. */
export function authRequest(init: Partial<AuthRequest> = {}): AuthRequest {
  return {
    service: UserService,
    method: UserService.method.deleteUser,
    url: "https://api.test/acme.user.v1.UserService/DeleteUser",
    policy: UserServicePolicies.methods.deleteUser,
    reason: "request",
    signal: new AbortController().signal,
    ...init,
  };
}
