import { Aws, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib'
import { Effect, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Architecture, Code, Function as LambdaFunction, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda'
import { LogGroup } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import type { Environment } from '#schema/env'
import { House } from './house.ts'

export interface HouseFunctionProps {
  /** `<room>/<verb-noun>` of the handler file. */
  door: string
  /** What it does, in one line, for the console. */
  description: string
  environment: Environment
  timeout?: Duration
  memoryMb?: number
  reservedConcurrency?: number
}

/** The one way a handler becomes a Lambda: ESM bundle, ARM64, own role and log group, nothing granted but what is named. */
export class HouseFunction extends LambdaFunction {
  /** Its grants stand in the role itself: a policy apart would be one resource more for every function. */
  readonly #grants: PolicyDocument

  constructor(scope: Construct, id: string, props: HouseFunctionProps) {
    const house = House.of(scope)
    const grants = new PolicyDocument()
    const role = new Role(scope, `${id}Role`, {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: props.description,
      inlinePolicies: { grants },
    })
    const logGroup = new LogGroup(scope, `${id}Logs`, {
      retention: house.config.logRetentionDays as number,
      removalPolicy: house.config.stage === 'prod' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    })
    super(scope, id, {
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      handler: 'index.handler',
      code: house.bundles
        ? Code.fromAsset(house.bundles.folder(props.door))
        : Code.fromInline('export const handler = () => {}'),
      description: props.description,
      timeout: props.timeout ?? Duration.seconds(29),
      memorySize: props.memoryMb ?? 512,
      role,
      logGroup,
      tracing: Tracing.DISABLED,
      environment: {
        ...(props.environment as Record<string, string>),
        NODE_OPTIONS: '--enable-source-maps',
        POWERTOOLS_SERVICE_NAME: props.door.replace('/', '-'),
      },
      ...(props.reservedConcurrency ? { reservedConcurrentExecutions: props.reservedConcurrency } : {}),
    })
    this.#grants = grants
    this.allow(
      ['logs:CreateLogStream', 'logs:PutLogEvents'],
      [
        `arn:${Aws.PARTITION}:logs:${Stack.of(scope).region}:${Stack.of(scope).account}:log-group:${logGroup.logGroupName}:*`,
      ],
    )
  }

  /** An explicit grant: these actions on these resources, nothing else. */
  allow(actions: string[], resources: string[], conditions?: Record<string, unknown>): this {
    this.#grants.addStatements(
      new PolicyStatement({ effect: Effect.ALLOW, actions, resources, ...(conditions ? { conditions } : {}) }),
    )
    return this
  }
}
