// A tiny OpenFX plugin to prove the test host with: it inverts colour, and misbehaves in one way when asked to.
// The `misbehave` parameter's options and `misbehave()` below name the ways.

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ofx_api.h"

#define EXPECT(call) do { if ((call) != kOfxStatOK) return kOfxStatFailed; } while (0)

static OfxHost* gHost;
static const OfxPropertySuiteV1* gProps;
static const OfxImageEffectSuiteV1* gEffects;
static const OfxParameterSuiteV1* gParams;
static const OfxMessageSuiteV2* gMessages;
static const OfxProgressSuiteV1* gProgress;
static const OfxMemorySuiteV1* gMemory;
static const OfxMultiThreadSuiteV1* gThreads;
static const OfxTimeLineSuiteV1* gTimeLine;

static const char* const kWays[] = {
    "none", "leak image", "write outside window", "write guard", "set param in render", "unknown property",
    "fetch in button", "wait for abort", "write source", "bad handle", "wrong type", "fail", "undeclared frame",
    "release twice", "late define", "leak memory", "open progress", "crash", "read only", "bad index",
    "keep image", "ignore abort", "value without time", "fetch mask"};

enum Way { kNone, kLeakImage, kWriteOutside, kWriteGuard, kSetParam, kUnknownProperty, kFetchInButton, kWaitForAbort,
           kWriteSource, kBadHandle, kWrongType, kFail, kUndeclaredFrame, kReleaseTwice, kLateDefine, kLeakMemory,
           kOpenProgress, kCrash, kReadOnly, kBadIndex, kKeepImage, kIgnoreAbort, kValueWithoutTime, kFetchMask };

typedef struct Image {
  OfxPropertySetHandle set;
  char* data;
  int rowBytes;
  OfxRectI bounds;
  char* depth;
  char* components;
} Image;

static OfxStatus getImage(OfxImageClipHandle clip, OfxTime time, Image* image) {
  EXPECT(gEffects->clipGetImage(clip, time, NULL, &image->set));
  void* data = NULL;
  EXPECT(gProps->propGetPointer(image->set, kOfxImagePropData, 0, &data));
  image->data = data;
  EXPECT(gProps->propGetInt(image->set, kOfxImagePropRowBytes, 0, &image->rowBytes));
  EXPECT(gProps->propGetIntN(image->set, kOfxImagePropBounds, 4, &image->bounds.x1));
  EXPECT(gProps->propGetString(image->set, kOfxImageEffectPropPixelDepth, 0, &image->depth));
  return gProps->propGetString(image->set, kOfxImageEffectPropComponents, 0, &image->components);
}

static OfxParamHandle param(OfxImageEffectHandle effect, const char* name) {
  OfxParamSetHandle set;
  OfxParamHandle handle = NULL;
  gEffects->getParamSet(effect, &set);
  gParams->paramGetHandle(set, name, &handle, NULL);
  return handle;
}

static int integerAt(OfxImageEffectHandle effect, const char* name, OfxTime time) {
  int value = 0;
  gParams->paramGetValueAtTime(param(effect, name), time, &value);
  return value;
}

static size_t channelBytes(const Image* image) {
  return !strcmp(image->depth, kOfxBitDepthByte) ? 1 : !strcmp(image->depth, kOfxBitDepthFloat) ? 4 : 2;
}

static int channels(const Image* image) {
  return !strcmp(image->components, kOfxImageComponentRGBA) ? 4 : !strcmp(image->components, kOfxImageComponentRGB) ? 3 : 1;
}

static char* pixel(const Image* image, int x, int y) {
  return image->data + (ptrdiff_t)(y - image->bounds.y1) * image->rowBytes +
         (ptrdiff_t)(x - image->bounds.x1) * (ptrdiff_t)channelBytes(image) * channels(image);
}

// Inverts the first three channels by `amount`; half float, which C lacks, is copied.
static void invertPixel(const Image* image, const char* from, char* to, double amount) {
  for (int c = 0; c < channels(image); ++c) {
    const int colour = c < 3;
    if (channelBytes(image) == 1) {
      const unsigned char v = ((const unsigned char*)from)[c];
      ((unsigned char*)to)[c] = (unsigned char)(colour ? v + amount * (255 - 2 * v) + 0.5 : v);
    } else if (channelBytes(image) == 4) {
      float v;
      memcpy(&v, from + 4 * c, 4);
      v = colour ? (float)(v + amount * (1 - 2 * (double)v)) : v;
      memcpy(to + 4 * c, &v, 4);
    } else {
      unsigned short v;
      memcpy(&v, from + 2 * c, 2);
      if (!strcmp(image->depth, kOfxBitDepthShort) && colour) v = (unsigned short)(v + amount * (65535 - 2 * v) + 0.5);
      memcpy(to + 2 * c, &v, 2);
    }
  }
}

static void pauseMs(long ms) {
  const struct timespec wait = {0, ms * 1000000};
  nanosleep(&wait, NULL);
}

static OfxStatus waitForAbort(OfxImageEffectHandle effect) {
  for (int n = 0; n < 500; ++n) {
    if (gEffects->abort(effect)) return kOfxStatFailed;
    pauseMs(10);
  }
  return kOfxStatOK;
}

static void misbehave(OfxImageEffectHandle effect, int way, const Image* source, const Image* output, OfxTime time) {
  OfxPropertySetHandle set;
  OfxImageClipHandle clip;
  OfxParamSetHandle params;
  Image other;
  void* block;
  double number;
  gEffects->getPropertySet(effect, &set);
  gEffects->clipGetHandle(effect, "Source", &clip, NULL);
  switch (way) {
    case kLeakImage: getImage(clip, time, &other); break;
    case kWriteOutside: *pixel(output, output->bounds.x1, output->bounds.y1) = 7; break;
    case kWriteGuard: pixel(output, output->bounds.x2, output->bounds.y2 - 1)[0] = 7; break;
    case kSetParam: gParams->paramSetValue(param(effect, "amount"), 0.25); break;
    case kUnknownProperty: gProps->propSetInt(set, "NoSuchProperty", 0, 1); break;
    case kWriteSource: *pixel(source, source->bounds.x1, source->bounds.y1) ^= 1; break;
    case kBadHandle: gProps->propGetDouble((OfxPropertySetHandle)(void*)effect, "Any", 0, &number); break;
    case kWrongType: gProps->propGetDouble(source->set, kOfxImagePropRowBytes, 0, &number); break;
    case kUndeclaredFrame: if (!getImage(clip, time + 5, &other)) gEffects->clipReleaseImage(other.set); break;
    case kLateDefine: gEffects->getParamSet(effect, &params); gParams->paramDefine(params, kOfxParamTypeDouble, "late", NULL); break;
    case kLeakMemory: gMemory->memoryAlloc(effect, 16, &block); break;
    case kOpenProgress: gProgress->progressStart(effect, "never ends"); break;
    case kCrash: *(volatile char*)8 = 1; break;
    case kReadOnly: gProps->propSetString(source->set, kOfxImageEffectPropComponents, 0, "x"); break;
    case kBadIndex: gProps->propSetInt(set, kOfxImageEffectPropSupportsTiles, 3, 1); break;
    case kValueWithoutTime: gParams->paramGetValue(param(effect, "amount"), &number); break;
    default: break;
  }
}

static void say(OfxImageEffectHandle effect, const char* text) {
  if (gMessages && gMessages->setPersistentMessage)
    gMessages->setPersistentMessage(effect, kOfxMessageError, "sample", "%s, %d and %g%%", text, 7, 2.5);
  else if (gMessages)
    gMessages->message(effect, kOfxMessageError, "sample", "%s", text);
}

// Says what a host gives for the optional clip.
static void fetchMask(OfxImageEffectHandle effect, OfxTime time) {
  OfxImageClipHandle clip;
  Image mask = {0};
  if (gEffects->clipGetHandle(effect, "Mask", &clip, NULL)) { say(effect, "no handle"); return; }
  getImage(clip, time, &mask);
  say(effect, !mask.set ? "no image" : mask.data ? "pixels" : "no data");
  if (mask.set) gEffects->clipReleaseImage(mask.set);
}

static OfxStatus reportProgress(OfxImageEffectHandle effect) {
  if (!gProgress) return kOfxStatOK;
  gProgress->progressStart(effect, "inverting");
  OfxStatus status = kOfxStatOK;
  for (int n = 0; n <= 4 && status == kOfxStatOK; ++n) status = gProgress->progressUpdate(effect, n / 4.0);
  gProgress->progressEnd(effect);
  return status == kOfxStatOK ? kOfxStatOK : kOfxStatFailed;
}

static OfxStatus invert(OfxImageEffectHandle effect, const Image* source, const Image* output, OfxPropertySetHandle in,
                        OfxTime time) {
  OfxRectI w;
  double amount = 1;
  gProps->propGetIntN(in, kOfxImageEffectPropRenderWindow, 4, &w.x1);
  gParams->paramGetValueAtTime(param(effect, "amount"), time, &amount);
  for (int y = w.y1; y < w.y2; ++y)
    for (int x = w.x1; x < w.x2; ++x) invertPixel(output, pixel(source, x, y), pixel(output, x, y), amount);
  return kOfxStatOK;
}

static OfxStatus render(OfxImageEffectHandle effect, OfxPropertySetHandle in) {
  OfxTime time;
  Image source, output;
  OfxImageClipHandle sourceClip, outputClip;
  gProps->propGetDouble(in, kOfxPropTime, 0, &time);
  const int way = integerAt(effect, "misbehave", time);
  if (way == kFail) return say(effect, "no luck"), kOfxStatFailed;
  if (way == kWaitForAbort) return waitForAbort(effect);
  if (way == kIgnoreAbort) return gEffects->abort(effect), pauseMs(400), kOfxStatOK;
  EXPECT(gEffects->clipGetHandle(effect, "Source", &sourceClip, NULL));
  EXPECT(gEffects->clipGetHandle(effect, "Output", &outputClip, NULL));
  EXPECT(getImage(sourceClip, time + integerAt(effect, "offset", time), &source));
  EXPECT(getImage(outputClip, time, &output));
  if (way == kKeepImage) gEffects->clipReleaseImage(source.set);
  if (way == kFetchMask) fetchMask(effect, time);
  OfxStatus status = reportProgress(effect);
  if (status == kOfxStatOK) status = invert(effect, &source, &output, in, time);
  misbehave(effect, way, &source, &output, time);
  if (way != kKeepImage) gEffects->clipReleaseImage(source.set);
  gEffects->clipReleaseImage(output.set);
  if (way == kReleaseTwice) gEffects->clipReleaseImage(source.set);
  return status;
}

// ---- everything but render

static OfxStatus load(void) {
  gProps = gHost->fetchSuite(gHost->host, kOfxPropertySuite, 1);
  gEffects = gHost->fetchSuite(gHost->host, kOfxImageEffectSuite, 1);
  gParams = gHost->fetchSuite(gHost->host, kOfxParameterSuite, 1);
  gMessages = gHost->fetchSuite(gHost->host, kOfxMessageSuite, 2);
  gProgress = gHost->fetchSuite(gHost->host, kOfxProgressSuite, 1);
  gMemory = gHost->fetchSuite(gHost->host, kOfxMemorySuite, 1);
  gThreads = gHost->fetchSuite(gHost->host, kOfxMultiThreadSuite, 1);
  gTimeLine = gHost->fetchSuite(gHost->host, kOfxTimeLineSuite, 1);
  return gProps && gEffects && gParams ? kOfxStatOK : kOfxStatErrMissingHostFeature;
}

static OfxStatus describe(OfxImageEffectHandle effect) {
  static const char* const kDepths[] = {kOfxBitDepthFloat, kOfxBitDepthHalf, kOfxBitDepthShort, kOfxBitDepthByte};
  static const char* const kContexts[] = {kOfxImageEffectContextFilter, kOfxImageEffectContextGeneral};
  OfxPropertySetHandle set;
  EXPECT(gEffects->getPropertySet(effect, &set));
  gProps->propSetString(set, kOfxPropLabel, 0, "Sample invert \xc3\xa4");
  gProps->propSetString(set, kOfxImageEffectPluginPropGrouping, 0, "Samples");
  for (int n = 0; n < 2; ++n) gProps->propSetString(set, kOfxImageEffectPropSupportedContexts, n, kContexts[n]);
  gProps->propSetStringN(set, kOfxImageEffectPropSupportedPixelDepths, 4, kDepths);
  gProps->propSetString(set, kOfxImageEffectPluginRenderThreadSafety, 0, kOfxImageEffectRenderFullySafe);
  gProps->propSetInt(set, kOfxImageEffectPropSupportsTiles, 0, 0);
  return gProps->propSetInt(set, kOfxImageEffectPropTemporalClipAccess, 0, 1);
}

static void defineClip(OfxImageEffectHandle effect, const char* name, int optional) {
  OfxPropertySetHandle set;
  gEffects->clipDefine(effect, name, &set);
  gProps->propSetString(set, kOfxImageEffectPropSupportedComponents, 0, kOfxImageComponentRGBA);
  gProps->propSetString(set, kOfxImageEffectPropSupportedComponents, 1, kOfxImageComponentRGB);
  gProps->propSetString(set, kOfxImageEffectPropSupportedComponents, 2, kOfxImageComponentAlpha);
  gProps->propSetInt(set, kOfxImageClipPropOptional, 0, optional);
  gProps->propSetInt(set, kOfxImageEffectPropTemporalClipAccess, 0, 1);
}

static OfxStatus describeInContext(OfxImageEffectHandle effect) {
  OfxParamSetHandle params;
  OfxPropertySetHandle set;
  defineClip(effect, "Source", 0);
  defineClip(effect, "Mask", 1);
  defineClip(effect, "Output", 0);
  EXPECT(gEffects->getParamSet(effect, &params));
  gParams->paramDefine(params, kOfxParamTypeGroup, "main", &set);
  gParams->paramDefine(params, kOfxParamTypeDouble, "amount", &set);
  gProps->propSetDouble(set, kOfxParamPropDefault, 0, 1.0);
  gProps->propSetDouble(set, kOfxParamPropMin, 0, 0.0);
  gProps->propSetDouble(set, kOfxParamPropMax, 0, 1.0);
  gProps->propSetDouble(set, kOfxParamPropDisplayMin, 0, 0.0);
  gProps->propSetDouble(set, kOfxParamPropDisplayMax, 0, 1.0);
  gProps->propSetString(set, kOfxParamPropParent, 0, "main");
  gParams->paramDefine(params, kOfxParamTypeInteger, "offset", &set);
  gParams->paramDefine(params, kOfxParamTypeString, "note", &set);
  gProps->propSetString(set, kOfxParamPropDefault, 0, "caf\xc3\xa9");
  gParams->paramDefine(params, kOfxParamTypeRGBA, "tint", &set);
  gParams->paramDefine(params, kOfxParamTypeChoice, "misbehave", &set);
  for (int n = 0; n < (int)(sizeof kWays / sizeof *kWays); ++n)
    gProps->propSetString(set, kOfxParamPropChoiceOption, n, kWays[n]);
  return gParams->paramDefine(params, kOfxParamTypePushButton, "press", &set);
}

static OfxStatus framesNeeded(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out) {
  OfxTime time;
  gProps->propGetDouble(in, kOfxPropTime, 0, &time);
  const double wanted = time + integerAt(effect, "offset", time);
  const double range[] = {wanted, wanted};
  return gProps->propSetDoubleN(out, "OfxImageClipPropFrameRange_Source", 2, range);
}

static OfxStatus isIdentity(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out) {
  OfxTime time;
  double amount = 1;
  gProps->propGetDouble(in, kOfxPropTime, 0, &time);
  gParams->paramGetValueAtTime(param(effect, "amount"), time, &amount);
  if (amount != 0) return kOfxStatReplyDefault;
  return gProps->propSetString(out, kOfxPropName, 0, "Source");
}

// The button halves the amount, writes a note of the timeline's bounds and uses threads and memory where they are.
static void addOne(unsigned int index, unsigned int count, void* total) {
  (void)index, (void)count;
  __atomic_add_fetch((int*)total, 1, __ATOMIC_SEQ_CST);
}

static void press(OfxImageEffectHandle effect) {
  char note[80];
  int total = 0;
  double amount = 0, first = 0, last = 0;
  void* block = NULL;
  if (gThreads) gThreads->multiThread(addOne, 4, &total);
  if (gTimeLine) gTimeLine->getTimeBounds(effect, &first, &last);
  if (gMemory && gMemory->memoryAlloc(effect, sizeof note, &block) == kOfxStatOK) gMemory->memoryFree(block);
  gParams->paramGetValue(param(effect, "amount"), &amount);
  snprintf(note, sizeof note, "%d calls, %g to %g", total, first, last);
  gParams->paramSetValue(param(effect, "amount"), amount / 2);
  gParams->paramSetValue(param(effect, "tint"), 0.1, 0.2, 0.3, 0.4);
  gParams->paramSetValue(param(effect, "offset"), -3);
  gParams->paramSetValue(param(effect, "note"), note);
}

static OfxStatus instanceChanged(OfxImageEffectHandle effect, OfxPropertySetHandle in) {
  char *name, *reason;
  EXPECT(gProps->propGetString(in, kOfxPropName, 0, &name));
  EXPECT(gProps->propGetString(in, kOfxPropChangeReason, 0, &reason));
  if (strcmp(name, "press") || strcmp(reason, kOfxChangeUserEdited)) return kOfxStatReplyDefault;
  if (integerAt(effect, "misbehave", 0) == kFetchInButton) {
    OfxImageClipHandle clip;
    Image image;
    gEffects->clipGetHandle(effect, "Source", &clip, NULL);
    return getImage(clip, 0, &image);
  }
  press(effect);
  return kOfxStatOK;
}

static OfxStatus mainEntry(const char* action, const void* handle, OfxPropertySetHandle in, OfxPropertySetHandle out) {
  OfxImageEffectHandle effect = (OfxImageEffectHandle)handle;
  if (!strcmp(action, kOfxActionLoad)) return load();
  if (!strcmp(action, kOfxActionDescribe)) return describe(effect);
  if (!strcmp(action, kOfxImageEffectActionDescribeInContext)) return describeInContext(effect);
  if (!strcmp(action, kOfxImageEffectActionGetFramesNeeded)) return framesNeeded(effect, in, out);
  if (!strcmp(action, kOfxImageEffectActionIsIdentity)) return isIdentity(effect, in, out);
  if (!strcmp(action, kOfxImageEffectActionRender)) return render(effect, in);
  if (!strcmp(action, kOfxActionInstanceChanged)) return instanceChanged(effect, in);
  return kOfxStatReplyDefault;
}

static void setHost(OfxHost* host) { gHost = host; }

static OfxPlugin gPlugin = {kOfxImageEffectPluginApi, kOfxImageEffectPluginApiVersion, "org.latensify.sample.invert",
                            1, 3, setHost, mainEntry};

int OfxGetNumberOfPlugins(void) { return 1; }

OfxPlugin* OfxGetPlugin(int nth) { return nth == 0 ? &gPlugin : NULL; }
