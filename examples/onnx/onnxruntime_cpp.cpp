// Writes the class map of an image with ONNX Runtime. Usage: onnxruntime_cpp street.onnx image.ppm ids.pgm
//
// The file is static and returns class maps: rapidseg export MODEL --static 512x1024 --output-kind class-map -o street.onnx
// The image is a binary PPM of that size (convert photo.jpg -resize '1024x512!' image.ppm), which needs no library.
// Build: g++ -std=c++17 -I INCLUDE onnxruntime_cpp.cpp -L LIB -l onnxruntime -o onnxruntime_cpp
#include <onnxruntime_cxx_api.h>

#include <fstream>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 4) return std::cerr << "usage: onnxruntime_cpp street.onnx image.ppm ids.pgm\n", 2;
  Ort::Env env;
  Ort::Session session(env, argv[1], Ort::SessionOptions());
  auto shape = session.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();  // {1, height, width, 3}
  std::vector<uint8_t> pixels(shape[1] * shape[2] * 3);
  std::ifstream image(argv[2], std::ios::binary);
  std::string format;
  int width = 0, height = 0, highest = 0;
  image >> format >> width >> height >> highest;
  image.ignore();  // the line break before the pixels
  if (format != "P6" || highest != 255 || width != shape[2] || height != shape[1] ||
      !image.read(reinterpret_cast<char*>(pixels.data()), pixels.size()))
    return std::cerr << argv[2] << ": not a binary PPM of " << shape[1] << "x" << shape[2] << " pixels\n", 2;
  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  auto input = Ort::Value::CreateTensor<uint8_t>(memory, pixels.data(), pixels.size(), shape.data(), shape.size());
  const char *inputs[] = {"image"}, *outputs[] = {"class_map"};
  auto results = session.Run(Ort::RunOptions(), inputs, &input, 1, outputs, 1);
  std::ofstream ids(argv[3], std::ios::binary);
  ids << "P5\n" << width << " " << height << "\n255\n";
  ids.write(results[0].GetTensorMutableData<char>(), static_cast<std::streamsize>(width) * height);
  return ids.good() ? 0 : 1;
}
