import { Aws, CfnOutput } from 'aws-cdk-lib'
import { ApiDefinition, EndpointType, MethodLoggingLevel, SpecRestApi } from 'aws-cdk-lib/aws-apigateway'
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'
import { ROUTES, type RouteId } from '#schema/api'
import { gatewayDocument } from './constructs/gateway-document.ts'
import type { HouseFunction } from './constructs/house-function.ts'

/** Doors by route, collected from the capabilities. */
export type Doors = Partial<Record<RouteId, HouseFunction>>

/** One REST API from the one OpenAPI document. */
export class Api extends Construct {
  readonly api: SpecRestApi

  constructor(
    scope: Construct,
    id: string,
    props: { doors: Doors; authorizer: HouseFunction; allowedOrigins: string[] },
  ) {
    super(scope, id)
    const document = gatewayDocument({
      allowedOrigins: props.allowedOrigins,
      authorizerUri: invocationUri(props.authorizer.functionArn),
      integrations: Object.fromEntries(
        Object.entries(props.doors).map(([route, door]) => {
          const stream = (ROUTES[route as RouteId] as { stream?: boolean }).stream === true
          return [
            route,
            {
              uri: stream ? streamingUri(door.functionArn) : invocationUri(door.functionArn),
              stream,
              timeoutMs: stream ? 900_000 : 29_000,
            },
          ]
        }),
      ),
    })
    this.api = new SpecRestApi(this, 'Rest', {
      apiDefinition: ApiDefinition.fromInline(document),
      restApiName: `${Aws.STACK_NAME}-api`,
      endpointTypes: [EndpointType.REGIONAL],
      deployOptions: {
        stageName: 'live',
        metricsEnabled: true,
        loggingLevel: MethodLoggingLevel.OFF,
        tracingEnabled: false,
      },
      cloudWatchRole: false,
    })
    // A door may serve two routes: one permission for each function is enough.
    for (const door of new Set([...Object.values(props.doors), props.authorizer]))
      door.addPermission('Gateway', {
        principal: new ServicePrincipal('apigateway.amazonaws.com'),
        sourceArn: this.api.arnForExecuteApi('*'),
      })
    new CfnOutput(this, 'Url', { value: this.api.url, description: 'Base URL of the API' }).overrideLogicalId('ApiUrl')
    new CfnOutput(this, 'RestApiId', { value: this.api.restApiId }).overrideLogicalId('ApiId')
  }
}

const lambdaPath = (version: string): string =>
  `arn:${Aws.PARTITION}:apigateway:${Aws.REGION}:lambda:path/${version}/functions`
const invocationUri = (arn: string): string => `${lambdaPath('2015-03-31')}/${arn}/invocations`
/** Lambda response streaming: InvokeWithResponseStream (API Gateway developer guide, "response transfer mode"). */
const streamingUri = (arn: string): string => `${lambdaPath('2021-11-15')}/${arn}/response-streaming-invocations`
