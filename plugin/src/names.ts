import type { DescFile, DescService } from "@bufbuild/protobuf";
import { reachOf, slotsOf } from "./reach.js";
import type { ServiceRules } from "./read-policies.js";

/** The generated file for a proto file, without extension. */
export function outputName(file: DescFile): string {
  return `${file.name}_auth`;
}

/** What the generated code of a service may export. */
export interface ExportNames {
  /** The policy table. */
  readonly policies: string;
  /** The function that makes clients. */
  readonly createClient: string;
  /** The type of a client with all methods. */
  readonly client: string;
  /** The type of a client without credentials. */
  readonly publicClient: string;
  /** The type of a client with `credentials` only. */
  readonly userClient: string;
  /** The type of a client with `internalCredentials` only. */
  readonly internalClient: string;
  /** The type that chooses from these by the credentials. */
  readonly clientWith: string;
}

/** The names that belong to a service, used or not. */
export function namesOf({ name }: DescService): ExportNames {
  return {
    policies: `${name}Policies`,
    createClient: `create${name}Client`,
    client: `${name}Client`,
    publicClient: `${name}PublicClient`,
    userClient: `${name}UserClient`,
    internalClient: `${name}InternalClient`,
    clientWith: `${name}ClientWith`,
  };
}

/** What the generated code of a service does export: a type for each choice of credentials that differs. */
export function exportsOf({ service, methods }: ServiceRules): string[] {
  const { policies, createClient, client, ...others } = namesOf(service);
  const { publicClient, userClient, internalClient, clientWith } = others;
  const always = [policies, createClient, client];
  switch (slotsOf(reachOf(methods)).length) {
    case 0:
      return always;
    case 1:
      return [...always, publicClient, clientWith];
    default:
      return [...always, publicClient, userClient, internalClient, clientWith];
  }
}
