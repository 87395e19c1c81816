/** What is printed for a server of MatrixService, every kind of policy with every kind of stream. */
export const matrixReport = `acme.matrix.v1.MatrixService
                       policy                                       nobody           invalid          under-privileged   privileged         internal
  PublicUnary          public                                       allowed          allowed          allowed            allowed            allowed
  PublicServer         public                                       allowed          allowed          allowed            allowed            allowed
  PublicClient         public                                       allowed          allowed          allowed            allowed            allowed
  PublicBidi           public                                       allowed          allowed          allowed            allowed            allowed
  InternalUnary        internal                                     Unauthenticated  Unauthenticated  Unauthenticated    Unauthenticated    allowed
  InternalServer       internal                                     Unauthenticated  Unauthenticated  Unauthenticated    Unauthenticated    allowed
  InternalClient       internal                                     Unauthenticated  Unauthenticated  Unauthenticated    Unauthenticated    allowed
  InternalBidi         internal                                     Unauthenticated  Unauthenticated  Unauthenticated    Unauthenticated    allowed
  RequiresUnary        requires roles [admin], scopes [matrix:use]  Unauthenticated  Unauthenticated  PermissionDenied   allowed            Unauthenticated?
  RequiresServer       requires roles [admin], scopes [matrix:use]  Unauthenticated  Unauthenticated  PermissionDenied   allowed            Unauthenticated?
  RequiresClient       requires roles [admin], scopes [matrix:use]  Unauthenticated  Unauthenticated  PermissionDenied   allowed            Unauthenticated?
  RequiresBidi         requires roles [admin], scopes [matrix:use]  Unauthenticated  Unauthenticated  PermissionDenied   allowed            Unauthenticated?
  AuthenticatedUnary   authenticated                                Unauthenticated  Unauthenticated  allowed            allowed            Unauthenticated?
  AuthenticatedServer  authenticated                                Unauthenticated  Unauthenticated  allowed            allowed            Unauthenticated?
  AuthenticatedClient  authenticated                                Unauthenticated  Unauthenticated  allowed            allowed            Unauthenticated?
  AuthenticatedBidi    authenticated                                Unauthenticated  Unauthenticated  allowed            allowed            Unauthenticated?
  DeniedUnary          denied                                       Unauthenticated  Unauthenticated  PermissionDenied   PermissionDenied   Unauthenticated
  DeniedServer         denied                                       Unauthenticated  Unauthenticated  PermissionDenied   PermissionDenied   Unauthenticated
  DeniedClient         denied                                       Unauthenticated  Unauthenticated  PermissionDenied   PermissionDenied   Unauthenticated
  DeniedBidi           denied                                       Unauthenticated  Unauthenticated  PermissionDenied   PermissionDenied   Unauthenticated
  UnspecifiedUnary     unspecified                                  Unauthenticated  Unauthenticated  PermissionDenied?  PermissionDenied?  Unauthenticated?
  UnspecifiedServer    unspecified                                  Unauthenticated  Unauthenticated  PermissionDenied?  PermissionDenied?  Unauthenticated?
  UnspecifiedClient    unspecified                                  Unauthenticated  Unauthenticated  PermissionDenied?  PermissionDenied?  Unauthenticated?
  UnspecifiedBidi      unspecified                                  Unauthenticated  Unauthenticated  PermissionDenied?  PermissionDenied?  Unauthenticated?

?  the policy leaves it to the server
no differences in 152 calls
`;

/** What is printed where callers do not exist. */
export const untriedReport = `acme.user.v1.UserService
              policy                                        nobody           invalid          under-privileged  privileged       internal
  GetProfile  public                                        allowed          allowed          not tried         allowed          not tried
  DeleteUser  requires roles [admin], scopes [users:write]  Unauthenticated  Unauthenticated  not tried         allowed          not tried
  WhoAmI      authenticated                                 Unauthenticated  Unauthenticated  not tried         allowed          not tried
  Reindex     internal                                      Unauthenticated  Unauthenticated  not tried         Unauthenticated  not tried

no differences in 12 calls, 16 were not tried
`;
