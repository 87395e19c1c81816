/** What is no `ClaimsMapping`, and what is said about it where `option` is its name. */
export function badMappings(option: string): { claimsMapping: unknown; message: string }[] {
  const known = "there are subject, name, roles, scopes";
  const values: unknown[] = ["", 5, null, ["sub"], {}];
  return [
    {
      claimsMapping: { sub: "oid", role: "x" },
      message: `${option} has no option "sub"; ${known}`,
    },
    {
      claimsMapping: { subject: "oid", role: "x" },
      message: `${option} has no option "role"; ${known}`,
    },
    { claimsMapping: ["sub"], message: `${option} has no option "0"; ${known}` },
    { claimsMapping: "sub", message: `${option} takes an object of options` },
    { claimsMapping: null, message: `${option} takes an object of options` },
    ...["subject", "name", "roles", "scopes"].flatMap((name) =>
      values.map((value) => ({
        claimsMapping: { [name]: value },
        message: `${option}.${name} ${JSON.stringify(value)} must be the name of a claim, or a path to it`,
      })),
    ),
  ];
}
